-- Raise the copy of MongoDB's high-water mark.
-- KEYS[1] the mark: hash {number, at_ms}
-- ARGV    number, MongoDB's time at which it was reached (ms), time until it is aged out (ms)
-- Returns 1 if the mark was raised, 0 if this or a higher one is stored.
local seen = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
if seen >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'at_ms', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
