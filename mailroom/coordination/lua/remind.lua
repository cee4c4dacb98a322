-- Restore fences of one lane that Redis has lost. Redis may have come back with an older copy: of that only final outcomes
-- stay, and crossings of which nothing else is known.
-- KEYS[..] fences: hashes, see cross.lua
-- ARGV[1]  milliseconds until the keys are aged out
-- ARGV[2..] outcome, claim id, attempt, digest, provider id, milliseconds of the claim's time ('' if unknown), where
--          it was called, its span, and the ids of claims that MongoDB knows not to have been accepted, joined by commas, for
--          each fence in turn
-- Returns  for each 1 if written, else 0
local answers = {}
for i = 1, #KEYS do
  local a = 9 * i - 7
  local f = redis.call('HMGET', KEYS[i], 'outcome', 'claim')
  local outcome, by = f[1], f[2] or ''
  local known = by == ARGV[a + 1] or string.find(',' .. ARGV[a + 8] .. ',', ',' .. by .. ',', 1, true)
  if outcome == 'done' or outcome == 'split' or (outcome == 'crossed' and not known) then
    answers[i] = 0
  else
    redis.call('HSET', KEYS[i], 'outcome', ARGV[a], 'claim', ARGV[a + 1], 'attempt', ARGV[a + 2], 'digest', ARGV[a + 3])
    redis.call('HSET', KEYS[i], 'token', '0', 'provider_id', ARGV[a + 4], 'at', ARGV[a + 5], 'where', ARGV[a + 6])
    redis.call('HSET', KEYS[i], 'span', ARGV[a + 7])
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
    answers[i] = 1
  end
end
return answers
