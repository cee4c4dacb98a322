-- Release fences of one lane whose calls are known not to have been accepted. Each bound to the claim that crossed it.
-- KEYS[..] fences: hashes, see cross.lua; of a 'split' one, provider_id is the most messages a part has
-- ARGV[1]  milliseconds until the keys are aged out
-- ARGV[2..] outcome ('released', or 'split': it is never called again, its parts are), claim id, attempt, digest, and
--          the most messages a part has ('' for 'released') for each fence in turn
-- Returns  for each 'written' (or never crossed: then a late crossing of this very claim finds it so); 'split:' .. the
--          most messages a part has, where it was split before: that stays; or 'no'
local answers = {}
for i = 1, #KEYS do
  local outcome, claim, attempt, digest, most = ARGV[5 * i - 3], ARGV[5 * i - 2], ARGV[5 * i - 1], ARGV[5 * i], ARGV[5 * i + 1]
  local f = redis.call('HMGET', KEYS[i], 'outcome', 'claim', 'attempt', 'provider_id')
  local others = f[1] and f[2] ~= claim and tonumber(f[3]) >= tonumber(attempt)
  if f[1] == 'split' then
    answers[i] = 'split:' .. f[4]
  elseif f[1] == 'done' or others then
    answers[i] = 'no'
  else
    redis.call('HSET', KEYS[i], 'outcome', outcome, 'claim', claim, 'attempt', attempt, 'digest', digest)
    if outcome == 'split' then redis.call('HSET', KEYS[i], 'provider_id', most) end
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
    answers[i] = 'written'
  end
end
return answers
