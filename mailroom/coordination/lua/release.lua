-- Release fences of one lane whose calls are known not to have been accepted. Each only for its own claim.
-- KEYS[..] fences: hashes, see cross.lua; of a 'split' one, provider_id is the most messages a part has
-- ARGV[1]  milliseconds until the keys are aged out
-- ARGV[2..] for each fence in turn: outcome ('released', or 'split': it is never called again, its parts are), claim id,
--          attempt, digest, the most messages a part has ('' for 'released'), and the ids of claims that MongoDB knows
--          not to have been accepted, joined by commas
-- Returns  for each {'written'} (also if it was never crossed: a late crossing of this claim then finds it released);
--          {'split', most messages of a part} if it was split before, which stays; or {'done', ..} or {'doubt', ..} of
--          cross.lua, which stay too
local answers = {}
for i = 1, #KEYS do
  local a = 6 * i - 4
  local outcome, claim, attempt, digest, most, cleared = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5]
  local f = redis.call('HMGET', KEYS[i], 'attempt', 'claim', 'digest', 'outcome', 'provider_id', 'at', 'where')
  local by = f[2] or ''
  local doubt = {'doubt', f[6] or '', by, f[7] or '', (f[4] == 'done' or f[4] == 'split') and 'final' or ''}
  local settled = by == claim or string.find(',' .. cleared .. ',', ',' .. by .. ',', 1, true)
  if f[4] == 'split' then
    answers[i] = (f[3] == digest) and {'split', f[5]} or doubt
  elseif f[4] == 'done' then
    answers[i] = (f[3] == digest) and {'done', f[1], f[7] or '', f[5]} or doubt
  elseif f[4] == 'crossed' and not settled then
    answers[i] = doubt
  else
    redis.call('HSET', KEYS[i], 'outcome', outcome, 'claim', claim, 'attempt', attempt, 'digest', digest)
    if outcome == 'split' then redis.call('HSET', KEYS[i], 'provider_id', most) end
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
    answers[i] = {'written'}
  end
end
return answers
