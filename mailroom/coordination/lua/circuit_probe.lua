-- Permit one call to a provider whose circuit is half open: all senders together get one call a span.
-- KEYS[1] circuit, see circuit_report.lua
-- ARGV[1] the span in ms
-- Returns 1 if the call is permitted, else 0
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HGET', KEYS[1], 'state') ~= 'half' then return 0 end
if now < tonumber(redis.call('HGET', KEYS[1], 'probed') or '0') + tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'probed', now)
return 1
