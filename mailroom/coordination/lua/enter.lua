-- Record a lane's token. Idempotent.
-- KEYS[1]  lane token: string, the highest token seen; only ever grows
-- ARGV[1]  token   ARGV[2]  milliseconds until the key is aged out
-- Returns  1 if no higher token was seen (the lane is ours), else 0
local seen = tonumber(redis.call('GET', KEYS[1]) or '0')
local token = tonumber(ARGV[1])
if seen > token then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
