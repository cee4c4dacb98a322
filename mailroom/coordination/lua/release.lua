-- Release fences of one lane whose calls are known not to have been accepted. Each bound to the claim that crossed it.
-- KEYS[..] fences: hashes, see cross.lua
-- ARGV[1]  milliseconds until the keys are aged out
-- ARGV[2..] outcome ('released', or 'split': it is never called again, its halves are), claim id, attempt, digest for
--          each fence in turn
-- Returns  for each 1 if written (or never crossed: then a late crossing of this very claim finds it so), else 0
local answers = {}
for i = 1, #KEYS do
  local outcome, claim, attempt, digest = ARGV[4 * i - 2], ARGV[4 * i - 1], ARGV[4 * i], ARGV[4 * i + 1]
  local f = redis.call('HMGET', KEYS[i], 'outcome', 'claim', 'attempt')
  local others = f[1] and f[2] ~= claim and tonumber(f[3]) >= tonumber(attempt)
  if f[1] == 'done' or f[1] == 'split' or others then
    answers[i] = 0
  else
    redis.call('HSET', KEYS[i], 'outcome', outcome, 'claim', claim, 'attempt', attempt, 'digest', digest)
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
    answers[i] = 1
  end
end
return answers
