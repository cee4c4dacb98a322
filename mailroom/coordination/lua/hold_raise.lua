-- Copy a hold on a run, or on all sending.
-- KEYS[1] the hold: hash {number, by, at_ms}; an odd number means that it holds
-- ARGV    number, author and time (ms) of its last change, time until it is aged out (ms; 0: never)
-- Returns 1 if it was written, 0 if this change or a newer one is stored.
local seen = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
if seen >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'by', ARGV[2], 'at_ms', ARGV[3])
if tonumber(ARGV[4]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
