-- Cross the fences of many dispatches of one lane, just before their calls. Repeating it with the same claim is harmless.
-- KEYS[1]   lane token: string
-- KEYS[2..] fence of each dispatch: hash {attempt, token, claim, digest, at, where, outcome = crossed|released|split|done, provider_id}
-- ARGV[1]   token   ARGV[2] claim id   ARGV[3] milliseconds until the keys are aged out
-- ARGV[4..] attempt, digest, milliseconds of the claim's time, and where it is to be called (provider|account), for each
--           fence in turn
-- Returns   for each fence 'go', 'stale' (the lane has seen a higher token), 'doubt:' .. at .. ':' .. where (the claim's
--           time of the crossing that stands, and where that was called), 'split', or
--           'done:' .. attempt .. ':' .. provider id
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
local token, claim, ttl = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local verdicts = {}
if seen > token then
  for i = 2, #KEYS do verdicts[i - 1] = 'stale' end
  return verdicts
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ttl)
for i = 2, #KEYS do
  local key, attempt, digest, at, where = KEYS[i], tonumber(ARGV[4 * i - 4]), ARGV[4 * i - 3], ARGV[4 * i - 2], ARGV[4 * i - 1]
  local f = redis.call('HMGET', key, 'attempt', 'claim', 'digest', 'outcome', 'provider_id', 'at', 'where')
  local known, outcome = tonumber(f[1] or '0'), f[4]
  local doubt = 'doubt:' .. (f[6] or '') .. ':' .. (f[7] or '')
  if outcome == 'done' then
    -- What was accepted is never called again; under another digest it is not the same dispatch.
    verdicts[i - 1] = (f[3] == digest) and ('done:' .. f[1] .. ':' .. f[5]) or doubt
  elseif outcome == 'split' then
    verdicts[i - 1] = (f[3] == digest) and 'split' or doubt
  elseif known < attempt or (known == attempt and (outcome == 'released' or f[2] == claim)) then
    redis.call('HSET', key, 'attempt', attempt, 'token', ARGV[1], 'claim', claim, 'digest', digest, 'at', at, 'where', where, 'outcome', 'crossed')
    redis.call('PEXPIRE', key, ttl)
    verdicts[i - 1] = 'go'
  else
    verdicts[i - 1] = doubt
  end
end
return verdicts
