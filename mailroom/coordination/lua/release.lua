-- Release a fence whose call is known not to have been accepted. Bound to the claim that crossed it.
-- KEYS[1]  fence: hash, see cross.lua
-- ARGV[1]  claim id   ARGV[2] attempt   ARGV[3] digest   ARGV[4] milliseconds
-- Returns  1 if released (or never crossed: then a late crossing of this very claim finds it released), else 0
local f = redis.call('HMGET', KEYS[1], 'outcome', 'claim', 'attempt')
if f[1] == 'done' then return 0 end
if f[1] and f[2] ~= ARGV[1] and tonumber(f[3]) >= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'outcome', 'released', 'claim', ARGV[1], 'attempt', ARGV[2], 'digest', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
