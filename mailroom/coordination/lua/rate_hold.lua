-- Take from the buckets of several domains for each of many calls, or tell it when to come again. Those that are held
-- back stand in a line, so that they do not all come at once; whoever comes back from it goes before who is new.
-- KEYS    buckets, see rate_take.lua; `mails` and `queue` are when the last of each line is to come: of single mails,
--         and of campaigns; `full` is since when the bucket is full. Who is in a line comes within moments of their time,
--         so a bucket that stays full has a line in which nobody stands any more: they were cancelled, or went otherwise
-- ARGV    1 how many buckets  2 ms that nobody waits longer than, before asking again
--         then a pair for each bucket: mails a second, mails at once
--         then for each call: 0 if urgent, 1 of the line of single mails, 2 of that of campaigns; 1 if it comes back;
--         how many buckets it takes from, and for each of these its number and mails
-- Returns for each call 0, or after how many ms it should come again
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count, longest = tonumber(ARGV[1]), tonumber(ARGV[2])
local PATIENCE = 5000 -- ms
local rate, most, tokens, near, ends, full = {}, {}, {}, {}, {{}, {}}, {}
for b = 1, count do
  rate[b], most[b] = tonumber(ARGV[2 * b + 1]) / 1000, tonumber(ARGV[2 * b + 2])
  local found = redis.call('HMGET', KEYS[b], 'tokens', 'at', 'mails', 'queue', 'full')
  local filled = (tonumber(found[1]) or most[b]) + (now - (tonumber(found[2]) or now)) * rate[b]
  tokens[b] = math.min(most[b], filled)
  full[b] = filled >= most[b] and (tonumber(found[5]) or now - (filled - most[b]) / rate[b]) or nil
  ends[1][b], ends[2][b] = math.max(tonumber(found[3]) or now, now), math.max(tonumber(found[4]) or now, now)
  if full[b] and now - full[b] > PATIENCE then ends[1][b], ends[2][b] = now, now end
  near[b] = now
end
local answers, i, touched = {}, 2 * count + 3, {}
while i <= #ARGV do
  local line, returns, named, wait = tonumber(ARGV[i]), ARGV[i + 1] == '1', tonumber(ARGV[i + 2]), 0
  for n = 0, named - 1 do
    local b, mails = tonumber(ARGV[i + 3 + 2 * n]), tonumber(ARGV[i + 4 + 2 * n])
    local has_some = now + math.max(0, 1 - tokens[b]) / rate[b]
    touched[b] = true
    if line > 0 and returns and tokens[b] < 1 then
      near[b] = math.max(near[b], has_some)
      wait = math.max(wait, near[b] - now, 1)
      near[b] = near[b] + mails / rate[b]
    elseif line > 0 and not returns and (tokens[b] < 1 or ends[1][b] > now or ends[line][b] > now) then
      ends[line][b] = math.max(ends[line][b], has_some)
      wait = math.max(wait, ends[line][b] - now, 1)
      ends[line][b] = ends[line][b] + mails / rate[b]
    end
  end
  if wait == 0 then
    for n = 0, named - 1 do
      local b = tonumber(ARGV[i + 3 + 2 * n])
      tokens[b] = tokens[b] - tonumber(ARGV[i + 4 + 2 * n])
    end
  end
  answers[#answers + 1] = math.ceil(math.min(wait, longest))
  i = i + 3 + 2 * named
end
for b in pairs(touched) do
  redis.call('HSET', KEYS[b], 'tokens', tokens[b], 'at', now, 'mails', ends[1][b], 'queue', ends[2][b])
  if full[b] and tokens[b] >= most[b] then
    redis.call('HSET', KEYS[b], 'full', full[b])
  else
    redis.call('HDEL', KEYS[b], 'full')
  end
  local last = math.max(ends[1][b], ends[2][b]) - now
  redis.call('PEXPIRE', KEYS[b], math.ceil(math.max((most[b] - tokens[b]) / rate[b], last)) + 3600000)
end
return answers
