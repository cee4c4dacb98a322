-- A provider said that we are too fast: half the rate, and nothing at all for as long as it says.
-- KEYS[1] bucket, see rate_take.lua
-- ARGV    1 the least factor  2 ms of nothing at all  3 ms between two halvings: answers to calls of one moment count once
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
