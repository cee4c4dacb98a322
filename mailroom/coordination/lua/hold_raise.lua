-- Mirror a hold on a run, or on all sending.
-- KEYS[1] the hold: hash {number, by, at_ms}; an odd number means that it holds
-- ARGV    number, by whom and when (ms) it was changed last, for how long it is kept (ms; 0: for ever)
-- Returns 1 if it was mirrored, 0 if a newer change, or this one, stands.
local seen = tonumber(redis.call('HGET', KEYS[1], 'number') or '0')
if seen >= tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'number', ARGV[1], 'by', ARGV[2], 'at_ms', ARGV[3])
if tonumber(ARGV[4]) > 0 then redis.call('PEXPIRE', KEYS[1], ARGV[4]) end
return 1
