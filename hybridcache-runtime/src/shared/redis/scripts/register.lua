-- Makes sure that a stamp exists, names a version of its function, and lives long enough.
-- KEYS 1=stamp
-- ARGV 1=number that it gets if there is none(16 hex digits) 2=lifetime_ms 3=version ('' = it is not a function's) 4=most versions
--   5=PUBLISH|SPUBLISH 6=invalidation channel 7=message that it has that number(49)
-- Returns the stamp
local stamp=redis.pcall('GET',KEYS[1])
local version=ARGV[3]
if version~='' then version=','..version end
local number,others,versions
if type(stamp)=='string' then
  number=string.match(stamp,'^'..string.rep('[0-9a-f]',16))
  others,versions=string.gsub(string.sub(stamp,17),',%d+','')
  if others~='' or number==string.rep('0',16) then number=nil end
end
if number and (version=='' or string.find(stamp..',',version..',',17,true)) then
  redis.call('PEXPIRE',KEYS[1],ARGV[2],'GT')
  return stamp
end
if number and versions<tonumber(ARGV[4]) then
  local appended=redis.pcall('APPEND',KEYS[1],version)
  if type(appended)~='number' then return appended end -- the server is full
  redis.call('PEXPIRE',KEYS[1],ARGV[2],'GT')
  return stamp..version
end
-- There is no stamp, or it names too many versions: a process that uses another number must be notified that it is
-- void.
stamp=ARGV[1]..version
local set=redis.pcall('SET',KEYS[1],stamp,'PX',ARGV[2])
if version~='' then redis.call(ARGV[5],ARGV[6],ARGV[7]) end
if set.err then return set end
return stamp
