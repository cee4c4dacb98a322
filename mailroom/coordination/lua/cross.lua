-- Cross the fences of many dispatches of one lane, just before their calls. Repeating it with the same claim is harmless.
-- KEYS[1]   lane token: string
-- KEYS[2]   hold of all sending: hash, see hold_raise.lua
-- KEYS[3..] for each dispatch in turn its fence and the hold of its run. The fence: hash {attempt, token, claim, digest, at,
--           where, span, outcome, provider_id}; outcome is crossed, released, split or done
-- ARGV[1]   token   ARGV[2] claim id   ARGV[3] milliseconds until the keys are aged out
-- ARGV[4..] for each fence in turn: attempt, digest, milliseconds of the claim's time, where it will be called
--           (provider|account), its span, and the ids of claims that MongoDB knows not to have been accepted, joined by commas
-- Returns   for each fence {'go'}, {'stale'} (the lane has seen a higher token, or this claim was released before),
--           {'doubt', time, claim and where of the crossing on record, 'final' if that was accepted or split with other
--           recipients}, {'split'}, {'done', attempt, where, provider id}, or {'held'} (nothing was written: no call now)
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
local token, claim, ttl = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local verdicts, count = {}, (#KEYS - 2) / 2
local function holds(key) return tonumber(redis.call('HGET', key, 'number') or '0') % 2 == 1 end
if seen > token then
  for i = 1, count do verdicts[i] = {'stale'} end
  return verdicts
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)
local all_held = holds(KEYS[2])
for i = 1, count do
  local key, a = KEYS[2 * i + 1], 6 * i - 2
  local attempt, digest, at, where, span, cleared = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5]
  local f = redis.call('HMGET', key, 'attempt', 'claim', 'digest', 'outcome', 'provider_id', 'at', 'where')
  local outcome, by = f[4], f[2] or ''
  local doubt = {'doubt', f[6] or '', by, f[7] or '', (outcome == 'done' or outcome == 'split') and 'final' or ''}
  local settled = by == claim or string.find(',' .. cleared .. ',', ',' .. by .. ',', 1, true)
  if outcome == 'done' then
    -- An accepted dispatch is never called again. Another digest means other recipients: in doubt.
    verdicts[i] = (f[3] == digest) and {'done', f[1], f[7] or '', f[5]} or doubt
  elseif outcome == 'split' then
    verdicts[i] = (f[3] == digest) and {'split'} or doubt
  elseif outcome == 'released' and by == claim then
    -- A late crossing: the claim was handed back already.
    verdicts[i] = {'stale'}
  elseif outcome == 'crossed' and not settled then
    -- Whatever the attempt: only MongoDB's record of this crossing settles it, and a restored copy may lack that.
    verdicts[i] = doubt
  elseif all_held or holds(KEYS[2 * i + 2]) then
    verdicts[i] = {'held'}
  else
    redis.call('HSET', key, 'attempt', attempt, 'token', ARGV[1], 'claim', claim, 'digest', digest, 'at', at)
    redis.call('HSET', key, 'where', where, 'span', span, 'outcome', 'crossed')
    redis.call('PEXPIRE', key, ttl)
    verdicts[i] = {'go'}
  end
end
return verdicts
