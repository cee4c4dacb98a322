-- Close a fence with the fact that the provider accepted the call. Always written, whoever holds the lane.
-- KEYS[1]  fence: hash, see cross.lua
-- ARGV[1]  provider id   ARGV[2] attempt   ARGV[3] claim id   ARGV[4] digest   ARGV[5] milliseconds
-- Returns  'closed', or 'twice:' .. the provider id of an earlier acceptance (which stays): another attempt's, or under
--          another id
local f = redis.call('HMGET', KEYS[1], 'outcome', 'provider_id', 'attempt')
if f[1] == 'done' then
  if f[2] == ARGV[1] and f[3] == ARGV[2] then return 'closed' end
  return 'twice:' .. f[2]
end
redis.call('HSET', KEYS[1], 'outcome', 'done', 'provider_id', ARGV[1], 'attempt', ARGV[2], 'claim', ARGV[3], 'digest', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 'closed'
