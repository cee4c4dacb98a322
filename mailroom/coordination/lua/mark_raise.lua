-- Raise the mark of how far MongoDB had come.
-- KEYS[1] the mark: hash {number, at_ms}
-- ARGV    number, MongoDB's time when it was reached (ms), for how long it is kept (ms)
-- Returns 1 if the mark was raised, 0 if a higher one stands.
local seen = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
if seen >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'at_ms', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
