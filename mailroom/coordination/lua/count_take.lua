-- Count actions within a span that begins with the first of them, unless they would be too many.
-- KEYS[1] count: a number, gone when its span is over
-- ARGV    1 the most that a span may have  2 ms of a span  3 how many to count now
-- Returns 0 if they are counted; else the ms until the span is over
local found, left = tonumber(redis.call('GET', KEYS[1]) or '0'), redis.call('PTTL', KEYS[1])
if found + tonumber(ARGV[3]) > tonumber(ARGV[1]) then
  return math.max(left > 0 and left or tonumber(ARGV[2]), 1)
end
redis.call('INCRBY', KEYS[1], ARGV[3])
if left <= 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
