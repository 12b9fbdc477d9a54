-- GCRA by the server's own clock, in microseconds. What is kept is when the next would be due if
-- they came at an even pace. Answers 0, or how long to wait.
local at = redis.call('TIME')
local now = at[1] * 1000000 + at[2]
local gap = tonumber(ARGV[1])
local room = tonumber(ARGV[2])
local due = tonumber(redis.call('GET', KEYS[1]) or 0)
-- After a step back of the clock nothing waits longer than it could have before it.
due = math.min(math.max(due, now), now + room + gap)
if due - now > room then
  return due - now - room
end
due = due + gap
redis.call('SET', KEYS[1], string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000))
return 0
