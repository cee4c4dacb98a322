-- The state of a provider's circuit. An open circuit becomes half open here once its cooldown is over.
-- KEYS[1] circuit, see circuit_report.lua
-- Returns state, until (ms, '' where closed), good and bad calls in the window, why
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local fields, found, good, bad = redis.call('HGETALL', KEYS[1]), {}, 0, 0
for i = 1, #fields, 2 do
  found[fields[i]] = fields[i + 1]
  if tonumber(string.sub(fields[i], 2)) then
    if string.sub(fields[i], 1, 1) == 'g' then good = good + tonumber(fields[i + 1]) end
    if string.sub(fields[i], 1, 1) == 'b' then bad = bad + tonumber(fields[i + 1]) end
  end
end
local state = found['state'] or 'closed'
if state == 'open' and now >= tonumber(found['until']) then
  redis.call('HSET', KEYS[1], 'state', 'half', 'healthy', 0)
  state = 'half'
end
return {state, found['until'] or '', good, bad, found['why'] or ''}
