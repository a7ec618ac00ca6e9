-- Deletes a key's entries or marks them stale, ends their leases, and notifies every process. As the first step of a
-- put it
-- then takes the lease, whichever process held it: a put publishes under its own lease, as a load does.
-- KEYS (entry, lease) of the version, then of each other version of the function that is known
-- ARGV 1=PUBLISH|SPUBLISH 2=invalidation channel 3=wake channel prefix 4=key id(16 hex digits) 5=D delete|S stale 6=origin(16 hex digits)
--      for a put also 7=token(32 hex digits) 8=lease_ms
-- Returns how many entries there were
local entries=0
for k=1,#KEYS,2 do
  local lease=redis.pcall('GET',KEYS[k+1])
  local marked=false
  if ARGV[5]=='S' and redis.call('EXISTS',KEYS[k])==1 then
    -- Refused for another type, or when the server is full: then the entry goes.
    marked=type(redis.pcall('SETRANGE',KEYS[k],4,'\1'))=='number'
  end
  if marked then entries=entries+1 else entries=entries+redis.call('UNLINK',KEYS[k]) end
  redis.call('UNLINK',KEYS[k+1])
  if type(lease)=='string' then
    for i=33,#lease,16 do redis.call(ARGV[1],ARGV[3]..string.sub(lease,i,i+15),'R'..ARGV[4]) end
  end
end
redis.call(ARGV[1],ARGV[2],ARGV[5]..ARGV[6]..ARGV[4])
-- Last: if it is refused, all other steps have been done.
if ARGV[7] then redis.call('SET',KEYS[2],ARGV[7],'PX',ARGV[8]) end
return entries
