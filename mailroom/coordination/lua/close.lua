-- Close fences of one lane: the provider accepted the calls. A fact is written whoever holds the lane.
-- KEYS[..] fences: hashes, see cross.lua
-- ARGV[1]  milliseconds until the keys are aged out
-- ARGV[2..] provider id, attempt, claim id, digest for each fence in turn
-- Returns  for each 'closed'; or 'twice:' .. provider id of an earlier acceptance by another attempt or under another id,
--          which stays; or 'split' if the dispatch was refused and continues in parts. '' as an id: it is not known
local words = {}
for i = 1, #KEYS do
  local id, attempt, claim, digest = ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i], ARGV[4 * i + 1]
  local f = redis.call('HMGET', KEYS[i], 'outcome', 'provider_id', 'attempt')
  if f[1] == 'done' then
    local same = f[3] == attempt and (f[2] == id or f[2] == '' or id == '')
    words[i] = same and 'closed' or ('twice:' .. f[2])
  elseif f[1] == 'split' then
    words[i] = 'split'
  else
    redis.call('HSET', KEYS[i], 'outcome', 'done', 'provider_id', id, 'attempt', attempt, 'claim', claim, 'digest', digest)
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
    words[i] = 'closed'
  end
end
return words
