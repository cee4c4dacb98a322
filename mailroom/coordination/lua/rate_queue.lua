-- Take from the buckets of several domains for each of many calls, or tell the call when to come again.
-- The rule is stated in domain/rate_queue.py, and a property test holds this script to it.
-- KEYS    buckets: hash {tokens, at, mails, queue}; `mails` and `queue` are when the last call of each line is to come:
--         of single mails, and of campaigns
-- ARGV    1 number of buckets  2 longest wait in ms  3 ms for which a full bucket keeps its lines
--         then a pair for each bucket: mails a second, mails at once
--         then for each call: its line (0 none: it is urgent, 1 single mails, 2 campaigns); 1 if it comes back; how many
--         buckets it takes from, and for each of these its number and mails
-- Returns for each call 0 (it goes, and has paid), or after how many ms it should come again
local NONE, MAILS, CAMPAIGNS = 0, 1, 2
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count, longest, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local function open(b)
  local rate, at_once = tonumber(ARGV[2 * b + 2]) / 1000, tonumber(ARGV[2 * b + 3])
  local stored = redis.call('HMGET', KEYS[b], 'tokens', 'at', 'mails', 'queue')
  local most = at_once + patience * rate
  local tokens = math.min(most, (tonumber(stored[1]) or at_once) + (now - (tonumber(stored[2]) or now)) * rate)
  local mails, queue = tonumber(stored[3]) or now, tonumber(stored[4]) or now
  if tokens >= most then mails, queue = now, now end
  local ends = {[MAILS] = math.max(mails, now), [CAMPAIGNS] = math.max(queue, now)}
  return {rate = rate, at_once = at_once, tokens = tokens, next_return = now, ends = ends}
end

local function hold(bucket, mails, line, returns)
  if line == NONE then return 0 end
  local refilled_at, comes_at = now + math.max(0, 1 - bucket.tokens) / bucket.rate, nil
  if returns then
    if bucket.tokens >= 1 then return 0 end
    comes_at = math.max(bucket.next_return, refilled_at)
    bucket.next_return = comes_at + mails / bucket.rate
  else
    if bucket.tokens >= 1 and bucket.ends[MAILS] <= now and bucket.ends[line] <= now then return 0 end
    comes_at = math.max(bucket.ends[line], refilled_at)
    bucket.ends[line] = comes_at + mails / bucket.rate
  end
  return math.max(comes_at - now, 1)
end

local buckets, asked, answers = {}, {}, {}
for b = 1, count do buckets[b] = open(b) end
local i = 2 * count + 4
while i <= #ARGV do
  local line, returns, takes, wait = tonumber(ARGV[i]), ARGV[i + 1] == '1', {}, 0
  for n = 1, tonumber(ARGV[i + 2]) do
    takes[n] = {bucket = tonumber(ARGV[i + 2 * n + 1]), mails = tonumber(ARGV[i + 2 * n + 2])}
  end
  for _, take in ipairs(takes) do
    asked[take.bucket] = true
    wait = math.max(wait, hold(buckets[take.bucket], take.mails, line, returns))
  end
  if wait == 0 then
    for _, take in ipairs(takes) do
      local bucket = buckets[take.bucket]
      bucket.tokens = math.min(bucket.tokens, bucket.at_once) - take.mails
    end
  end
  answers[#answers + 1] = math.ceil(math.min(wait, longest))
  i = i + 3 + 2 * #takes
end
for b in pairs(asked) do
  local bucket = buckets[b]
  redis.call('HSET', KEYS[b], 'tokens', bucket.tokens, 'at', now, 'mails', bucket.ends[MAILS], 'queue', bucket.ends[CAMPAIGNS])
  local refill, last = (bucket.at_once - bucket.tokens) / bucket.rate, math.max(bucket.ends[MAILS], bucket.ends[CAMPAIGNS]) - now
  redis.call('PEXPIRE', KEYS[b], math.ceil(math.max(refill, last, 0)) + 3600000)
end
return answers
