-- Redis' identity. It changes with a restart, a failover, a replacement, and when a running Redis is emptied: that keeps
-- the run id, but loses our mark. The replication id is drawn anew whenever a replica becomes master: so a server that was
-- replaced, and comes back as master in the same process, has another identity. Only a master has one: a replica's memory
-- is replaced by its master's at any time, also where it takes writes.
-- KEYS[1] hash {mark, of (run id and replication id), at_ms (since when, by Redis' clock)}
-- ARGV[1] the mark to set if there is none
-- Returns the identity; the error READONLY if this is a replica
local replication = redis.call('INFO', 'replication')
if replication:match('role:(%w+)') ~= 'master' then
  return redis.error_reply("READONLY You can't write against a read only replica.")
end
local of = redis.call('INFO', 'server'):match('run_id:(%w+)')
of = of .. ':' .. (replication:match('master_replid:(%w+)') or '')
local known = redis.call('HMGET', KEYS[1], 'mark', 'of')
local mark = known[1] or ARGV[1]
if known[2] ~= of then
  local now = redis.call('TIME')
  local at_ms = string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000))
  redis.call('HSET', KEYS[1], 'mark', mark, 'of', of, 'at_ms', at_ms)
end
return of .. ':' .. mark
