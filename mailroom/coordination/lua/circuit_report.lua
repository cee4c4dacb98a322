-- Count a provider's good and bad calls, and open or close its circuit.
-- KEYS[1] circuit: hash {state = closed|open|half, until, cooldown, healthy, why, and good and bad calls by bucket: g<n>, b<n>}
-- ARGV    1 window in ms  2 failures that open it  3 first cooldown in ms  4 longest cooldown in ms
--         5 successes that close it again  6 good calls  7 bad calls
-- Returns 'opened', 'closed', or '' if nothing changed
local window, least, first, longest, healthy = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local good, bad = tonumber(ARGV[6]), tonumber(ARGV[7])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local key = KEYS[1]
local state = redis.call('HGET', key, 'state') or 'closed'

local function open(cooldown)
  redis.call('DEL', key)
  redis.call('HSET', key, 'state', 'open', 'until', now + cooldown, 'cooldown', cooldown, 'why', 'its calls failed')
  return 'opened'
end

if state == 'open' then return '' end  -- calls that began before it opened
if state == 'half' then
  if bad > 0 then return open(math.min(2 * tonumber(redis.call('HGET', key, 'cooldown') or first), longest)) end
  if redis.call('HINCRBY', key, 'healthy', good) < healthy then return '' end
  redis.call('DEL', key)
  return 'closed'
end
local width = window / 10
local bucket = math.floor(now / width)
if good > 0 then redis.call('HINCRBY', key, 'g' .. bucket, good) end
if bad > 0 then redis.call('HINCRBY', key, 'b' .. bucket, bad) end
local fields = redis.call('HGETALL', key)
local all_good, all_bad = 0, 0
for i = 1, #fields, 2 do
  local kind, number = string.sub(fields[i], 1, 1), tonumber(string.sub(fields[i], 2))
  if number and (kind == 'g' or kind == 'b') then
    if number <= bucket - 10 then
      redis.call('HDEL', key, fields[i])
    elseif kind == 'g' then
      all_good = all_good + tonumber(fields[i + 1])
    else
      all_bad = all_bad + tonumber(fields[i + 1])
    end
  end
end
redis.call('PEXPIRE', key, 2 * window)
if all_bad >= least and all_bad >= all_good then return open(first) end
return ''
