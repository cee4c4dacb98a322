-- Take from the buckets of several domains for each of many calls, or tell it when to come again: each that is held back
-- gets a time of its own, so that they do not all come at once.
-- KEYS    buckets, see rate_take.lua
-- ARGV    1 how many buckets  then a pair for each bucket: mails a second, mails at once
--         then for each call: 1 if urgent, how many buckets it takes from, and for each of these its number and mails
-- Returns for each call 0, or after how many ms it should come again
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count = tonumber(ARGV[1])
local rate, most, tokens, queue = {}, {}, {}, {}
for b = 1, count do
  rate[b], most[b] = tonumber(ARGV[2 * b]) / 1000, tonumber(ARGV[2 * b + 1])
  local found = redis.call('HMGET', KEYS[b], 'tokens', 'at', 'queue')
  tokens[b] = math.min(most[b], (tonumber(found[1]) or most[b]) + (now - (tonumber(found[2]) or now)) * rate[b])
  queue[b] = math.max(tonumber(found[3]) or now, now)
end
local answers, i = {}, 2 * count + 2
while i <= #ARGV do
  local urgent, named, wait = ARGV[i] == '1', tonumber(ARGV[i + 1]), 0
  for n = 0, named - 1 do
    local b, mails = tonumber(ARGV[i + 2 + 2 * n]), tonumber(ARGV[i + 3 + 2 * n])
    if tokens[b] < 1 and not urgent then
      queue[b] = math.max(queue[b], now + (1 - tokens[b]) / rate[b]) + mails / rate[b]
      wait = math.max(wait, queue[b] - mails / rate[b] - now)
    end
  end
  if wait == 0 then
    for n = 0, named - 1 do
      local b = tonumber(ARGV[i + 2 + 2 * n])
      tokens[b] = tokens[b] - tonumber(ARGV[i + 3 + 2 * n])
    end
  end
  answers[#answers + 1] = math.ceil(wait)
  i = i + 2 + 2 * named
end
for b = 1, count do
  redis.call('HSET', KEYS[b], 'tokens', tokens[b], 'at', now, 'queue', queue[b])
  redis.call('PEXPIRE', KEYS[b], math.ceil(math.max((most[b] - tokens[b]) / rate[b], queue[b] - now)) + 3600000)
end
return answers
