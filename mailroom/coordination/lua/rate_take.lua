-- Take mails from one bucket for as many calls as it allows. A call larger than the rest of the bucket goes, and the next
-- calls wait until the debt is paid: the limit is on mails over time. An urgent call pays too, but waits only during a
-- pause that the provider asked for.
-- KEYS[1] bucket: hash {tokens, at, factor, lowered_at, halved_at, paused_until}, and the fields of rate_queue.lua
-- ARGV    1 mails a second  2 mails at once  3 ms after which a lowered rate is doubled  then for each call: mails, 1 if urgent
-- Returns the number of calls that may go, from the first on
local rate, most, recovers = tonumber(ARGV[1]) / 1000, tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'factor', 'lowered_at', 'paused_until')
local factor = tonumber(found[3]) or 1
local lowered_at = tonumber(found[4]) or now
while factor < 1 and now - lowered_at >= recovers do
  factor, lowered_at = math.min(1, factor * 2), lowered_at + recovers
end
local tokens = math.min(most, (tonumber(found[1]) or most) + (now - (tonumber(found[2]) or now)) * rate * factor)
local paused = now < (tonumber(found[5]) or 0)
local going = 0
for i = 4, #ARGV, 2 do
  if paused or (tokens < 1 and ARGV[i + 1] ~= '1') then break end
  tokens = tokens - tonumber(ARGV[i])
  going = going + 1
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now, 'factor', factor, 'lowered_at', lowered_at)
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max((most - tokens) / (rate * factor), 3600000)) + recovers)
return going
