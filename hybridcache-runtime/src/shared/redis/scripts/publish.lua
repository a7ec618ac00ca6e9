-- Stores an entry if the lease is still ours, ends the lease, and wakes its waiters. If the entry cannot be stored, a
-- mark takes the lease's place as in release.lua.
-- KEYS 1=entry 2=lease 3=stage (an entry of more than a few kilobytes was staged there)
-- ARGV 1=token(32 hex digits) 2=ttl_ms 3=PUBLISH|SPUBLISH 4=wake channel prefix 5=key id(16 hex digits) 6=how long the mark lives, ms
--   7=the entry, where it was not staged
-- Returns 1 stored, 2 stored before by this same publish, 0 fenced out, the error of SET or RENAME: there is no room, nothing was staged,
-- or it is not permitted
local lease=redis.pcall('GET',KEYS[2])
if type(lease)~='string' or string.sub(lease,1,32)~=ARGV[1] then
  if KEYS[3] then redis.call('UNLINK',KEYS[3]) end
  local fence=redis.pcall('GETRANGE',KEYS[1],16,31)
  if type(fence)~='string' then fence='' end
  fence=string.gsub(fence,'.',function(byte) return string.format('%02x',string.byte(byte)) end)
  if fence==ARGV[1] then return 2 end
  return 0
end
local moved
if KEYS[3] then moved=redis.pcall('RENAME',KEYS[3],KEYS[1]) else moved=redis.pcall('SET',KEYS[1],ARGV[7],'PX',ARGV[2]) end
local stored=not (type(moved)=='table' and moved.err)
if stored and KEYS[3] then redis.call('PEXPIRE',KEYS[1],ARGV[2]) end
redis.call('DEL',KEYS[2])
if not stored then redis.pcall('SET',KEYS[2],'0000000000000000','PX',ARGV[6]) end
local wake=(stored and 'P' or 'N')..ARGV[5]
for i=33,#lease,16 do redis.call(ARGV[3],ARGV[4]..string.sub(lease,i,i+15),wake) end
return stored and 1 or moved.err
