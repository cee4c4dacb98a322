-- Count actions if they fit into the span. A span begins with its first action.
-- KEYS[1] count: a number that expires with its span
-- ARGV    1 most actions of a span  2 length of a span in ms  3 actions to count now
-- Returns 0 if they were counted; else the ms until the span ends
local found, left = tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])
if found + tonumber(ARGV[3]) > tonumber(ARGV[1]) then
  return math.max(left > 0 and left or tonumber(ARGV[2]), 1)
end
redis.call('INCRBY', KEYS[1], ARGV[3])
if left <= 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
