"""The operations of `_policy.election` once more, in the language that Redis runs.

One script for all of them: whatever it does is atomic there, and by the server's own
clock, so that no two machines' clocks are compared. It must answer as `election` does;
a test drives both with the same steps. Its times are whole milliseconds.

A record is one string of MessagePack, with the name that it was written under, and ends
when the last thing in it does. Fence, invalidated generation and number of the last
announcement outlive it in a key of their own, as an evicted or ended record must not
let a fence come twice. What is no record of this name is taken for nothing (F116).
"""

from typing import Final

from persona_share._policy.election import LEASE, LONGEST_LEAD, MOST_CODES
from persona_share._protocol.stored import LEEWAY, REMEMBERED
from persona_share._protocol.stored_codec import LONGEST


CLOCK: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

_NUMBERS: Final = f"""
local LEASE, LONGEST_LEAD = {LEASE * 1_000:.0f}, {LONGEST_LEAD * 1_000:.0f}
local LEEWAY, REMEMBERED = {LEEWAY * 1_000:.0f}, {REMEMBERED * 1_000:.0f}
local MOST_CODES, LONGEST = {MOST_CODES}, {LONGEST}
"""

# A record: n(ame), w(ritten at), f(ence), i(nvalidated), v: number of announcements,
# t(oken): g(eneration) e(nds) l(ifetime) b(lob); l(eader): o(wner) f(ence) s(ince)
# u(ntil); c(ode in progress), and each of q(ueue): i(d) d(eadline) b(lob) p: epoch
# s(ent at, or false); s(etback): r(eason) u(ntil).
_BODY: Final = """
local RECORD, FENCE = KEYS[1], KEYS[2]
local PROOF, NAME, CHANNEL, OPERATION = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local changed = false

local function int(number) return string.format('%.0f', number) end

local function nothing()
  local known = redis.pcall('GET', FENCE)
  local f, i, v = string.match(
    type(known) == 'string' and known or '', '^(%d+):(%d+):(%d+)$')
  return {n = NAME, f = tonumber(f or 0), i = tonumber(i or 0), v = tonumber(v or 0),
          q = {}}
end

local function later(r, by)
  if r.t then r.t.e = r.t.e + by end
  if r.l then r.l.s, r.l.u = r.l.s + by, r.l.u + by end
  if r.s then r.s.u = r.s.u + by end
  local function code(c)
    c.d = c.d + by
    if c.s then c.s = c.s + by end
  end
  if r.c then code(r.c) end
  for _, c in ipairs(r.q) do code(c) end
end

local function read()
  local length = redis.pcall('STRLEN', RECORD)
  if length == 0 then return nothing(), 0 end
  if type(length) == 'number' and length <= LONGEST then
    local ok, r = pcall(cmsgpack.unpack, redis.call('GET', RECORD))
    if ok and type(r) == 'table' and r.n == NAME then
      local fine = pcall(function()
        if r.w - now > LEEWAY then
          later(r, now - r.w)
          changed = true -- from here on time counts again
        end
        r.f, r.i, r.v = r.f + 0, r.i + 0, r.v + 0
      end)
      if fine then return r, 0 end
    end
  end
  return nothing(), 1
end

local function write(r)
  local ends = now
  local function reach(time) ends = math.max(ends, time) end
  if r.t then reach(r.t.e) end
  if r.l then reach(math.max(r.l.u, r.l.s + LONGEST_LEAD)) end
  if r.c then reach(r.c.d) end
  if r.s then reach(r.s.u) end
  for _, c in ipairs(r.q) do reach(c.d) end
  r.w = now
  if ends > now then
    redis.call('SET', RECORD, cmsgpack.pack(r), 'PX', int(math.ceil(ends - now)))
  else
    redis.call('DEL', RECORD)
  end
  local known = int(r.f) .. ':' .. int(r.i) .. ':' .. int(r.v)
  redis.call('SET', FENCE, known, 'PX', REMEMBERED)
end

local function leads(r, owner, fence)
  return r.l and r.l.o == owner and r.l.f == fence
end

local function held(t)
  return {'held', int(t.g), int(math.min(t.e - now, t.l)), t.b}
end

local function carried(kind, c, first)
  local reply = {kind}
  if first then reply[2] = first end
  if not c then return reply end
  for _, each in ipairs({c.i, int(c.d - now), c.b, int(c.p),
                         c.s and int(now - c.s) or ''}) do
    reply[#reply + 1] = each
  end
  return reply
end

local function stored(id, seconds, blob, epoch, sent)
  return {i = id, d = now + tonumber(seconds), b = blob, p = tonumber(epoch),
          s = sent ~= '' and now - tonumber(sent)}
end

local function waiting(r)
  local codes = {}
  for _, c in ipairs(r.q) do
    if now < c.d then codes[#codes + 1] = c end
  end
  changed = changed or #codes ~= #r.q
  return codes
end

local run = {}

function run.number() return {'number'} end

function run.look(r)
  local usable = r.t and r.t.g > r.i and math.min(r.t.e - now, r.t.l) > 0
  local codes = waiting(r)
  changed = false
  local reply = {'look', int(r.l and math.max(r.l.u - now, 0) or 0),
                 int(r.s and math.max(r.s.u - now, 0) or 0), int(#codes)}
  if usable then
    for _, each in ipairs(held(r.t)) do reply[#reply + 1] = each end
  end
  return reply
end

function run.elect(r, owner, newer_than, at_least)
  local floor = math.max(tonumber(newer_than), r.i)
  if r.t and r.t.g > floor
     and math.min(r.t.e - now, r.t.l) > tonumber(at_least) then
    return held(r.t)
  end
  if r.l and now < r.l.u and r.l.o ~= owner then
    return {'follow', int(r.l.u - now)}
  end
  if r.s and now < r.s.u then return {'refused', r.s.r, int(r.s.u - now)} end
  changed = true
  r.f = math.max(r.f, floor) + 1
  r.l = {o = owner, f = r.f, s = now, u = now + LEASE}
  r.s = nil
  if r.c and now >= r.c.d then r.c = nil end
  return carried('lead', r.c, int(r.f))
end

function run.attach(r, owner, fence, ...)
  if not leads(r, owner, tonumber(fence)) then return {'lost'} end
  if not (r.c and now < r.c.d) then
    changed = true
    r.c = stored(...)
    local others = {} -- it may have been offered by another manager, too
    for _, c in ipairs(r.q) do
      if c.i ~= r.c.i then others[#others + 1] = c end
    end
    r.q = others
  end
  return carried('ticket', r.c)
end

function run.mark_sent(r, owner, fence, epoch)
  epoch = tonumber(epoch)
  local c = r.c
  if not c or epoch < c.p or not leads(r, owner, tonumber(fence)) then
    return {'lost'}
  end
  if not (c.s and c.p == epoch) then
    changed = true
    c.p, c.s = epoch, now
  end
  return {'sent', int(now - c.s)}
end

function run.publish(r, owner, fence, remaining, blob)
  fence, remaining = tonumber(fence), tonumber(remaining)
  local t, ends = r.t, now + remaining
  if leads(r, owner, fence) then
    changed = true
    r.l, r.c = nil, nil
  end
  if t and (t.g > fence or (t.g == fence and t.e > ends)) then
    if t.e > now and t.g > r.i then return held(t) end
    return {'none'}
  end
  if fence > r.i then
    changed = true
    r.t = {g = fence, e = ends, l = remaining, b = blob}
    r.f, r.s = math.max(r.f, fence), nil
  end
  return {'none'}
end

function run.adopt(r, remaining, blob)
  remaining = tonumber(remaining)
  local t = r.t
  if t and t.g > r.i and t.e >= now + remaining then return {'adopted', '0'} end
  changed = true
  r.f, r.s = math.max(r.f, r.i) + 1, nil
  r.t = {g = r.f, e = now + remaining, l = remaining, b = blob}
  return {'adopted', int(r.f)}
end

function run.fail(r, owner, fence, reason, pause, keep_ticket)
  if leads(r, owner, tonumber(fence)) then
    changed = true
    pause = tonumber(pause)
    r.l, r.s = nil, nil
    if keep_ticket == '0' then r.c = nil end
    if pause > 0 then r.s = {r = reason, u = now + pause} end
  end
  return {'none'}
end

function run.invalidate(r, generation)
  generation = tonumber(generation)
  if generation > r.i then
    changed = true
    r.i = generation
  end
  return {'none'}
end

function run.renew(r, owner, fence)
  local l = r.l
  if not leads(r, owner, tonumber(fence)) then return {'lost'} end
  local ends = math.min(now + LEASE, l.s + LONGEST_LEAD)
  if now >= ends then return {'lost'} end
  changed = true
  l.u = ends
  return {'kept'}
end

function run.offer(r, id, seconds, ...)
  r.q = waiting(r)
  local known = r.c and r.c.i == id
  for _, c in ipairs(r.q) do known = known or c.i == id end
  if known or tonumber(seconds) <= 0 or #r.q >= MOST_CODES then return {'full'} end
  changed = true
  local new, place = stored(id, seconds, ...), 1
  while r.q[place] and r.q[place].d <= new.d do place = place + 1 end
  table.insert(r.q, place, new)
  r.s = nil
  return {'queued'}
end

function run.take(r)
  r.q = waiting(r)
  if #r.q == 0 then return {'none'} end
  changed = true
  return carried('ticket', table.remove(r.q, 1))
end

function run.forget(r)
  changed = true
  local f = math.max(r.f, r.i)
  r.f, r.i, r.t, r.l, r.c, r.s, r.q = f, f, nil, nil, nil, nil, {}
  return {'none'}
end

local ANNOUNCED = {publish = 1, adopt = 1, fail = 1, invalidate = 1, offer = 1,
                   forget = 1}

local r, foreign = read()
local ok, reply = pcall(run[OPERATION], r, unpack(ARGV, 5))
if not ok then
  r, foreign, changed = nothing(), 1, false
  reply = run[OPERATION](r, unpack(ARGV, 5))
end
if changed then
  if ANNOUNCED[OPERATION] then r.v = r.v + 1 end
  write(r)
  if ANNOUNCED[OPERATION] then redis.call('PUBLISH', CHANNEL, NAME) end
end
return {PROOF, int(r.v), foreign, unpack(reply)}
"""


def script(clock: str = CLOCK) -> str:
    """Answer the whole script, with another clock for tests."""
    return _NUMBERS + clock + _BODY
