-- Who Redis is: another one after a restart, a failover, a replacement, or once it was emptied while it ran (that keeps
-- its run id, but loses our mark).
-- KEYS[1] what is known of it: hash {mark, of (its run id and replication id), at_ms (since when, by its own clock)}
-- ARGV[1] the mark that is set where there is none
-- Returns its identity
local of = redis.call('INFO', 'server'):match('run_id:(%w+)')
of = of .. ':' .. (redis.call('INFO', 'replication'):match('master_replid:(%w+)') or '')
local known = redis.call('HMGET', KEYS[1], 'mark', 'of')
local mark = known[1] or ARGV[1]
if known[2] ~= of then
  local now = redis.call('TIME')
  local at_ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  redis.call('HSET', KEYS[1], 'mark', mark, 'of', of, 'at_ms', at_ms)
end
return of .. ':' .. mark
