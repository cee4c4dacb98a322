-- After a provider's complaint about the pace: halve the rate, and pause for as long as the provider says.
-- KEYS[1] bucket, see rate_take.lua
-- ARGV    1 least factor  2 pause in ms  3 least ms between two halvings, so that answers of one moment count once
-- Returns the factor
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'factor', 'halved_at', 'paused_until')
local factor = tonumber(found[1]) or 1
if now - (tonumber(found[2]) or 0) >= tonumber(ARGV[3]) then
  factor = math.max(tonumber(ARGV[1]), factor / 2)
  redis.call('HSET', KEYS[1], 'halved_at', now)
end
redis.call('HSET', KEYS[1], 'factor', factor, 'lowered_at', now,
  'paused_until', math.max(tonumber(found[3]) or 0, now + tonumber(ARGV[2])))
redis.call('PEXPIRE', KEYS[1], 86400000)
return tostring(factor)
