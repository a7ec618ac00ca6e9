-- Takes the lease of a key, or registers the process for the wake-up when the lease ends.
-- KEYS 1=entry 2=lease
-- ARGV 1=token(32 hex digits) 2=lease_ms 3=bytes 16 to 31 of the entry as the caller read it ('' = none)
-- 4=waiter(16 hex digits, '' = do not wait)
-- Returns {0} granted, {1,ms} held for that long, {2} the entry is not the one that the caller read: read again,
-- {3} held, and the load before stored nothing: waiting is not worthwhile
local mark='0000000000000000' -- left by release.lua; a lease that replaces it keeps it as its first waiter, which is no process
local fence=redis.pcall('GETRANGE',KEYS[1],16,31)
if type(fence)~='string' then fence='' end -- another type reads as a miss
if fence~='' and fence~=ARGV[3] then return {2} end
local lease=redis.pcall('GET',KEYS[2])
local left=-1
if type(lease)=='string' and #lease>=32 then left=redis.call('PTTL',KEYS[2]) end
if left>60000 then -- no lease is given that long: the server's clock was set back. Its holder, if there is one, renews it
  left=tonumber(ARGV[2])
  redis.call('PEXPIRE',KEYS[2],left)
end
if left<0 then -- free, or foreign bytes: a lease always has a lifetime
  redis.call('SET',KEYS[2],ARGV[1]..(lease==mark and mark or ''),'PX',ARGV[2])
  return {0}
end
if string.sub(lease,1,32)==ARGV[1] then return {0} end -- our own retry
if string.sub(lease,33,48)==mark then return {3} end
if ARGV[4]~='' and not string.find(lease,ARGV[4],33,true) then redis.call('APPEND',KEYS[2],ARGV[4]) end
return {1,left}
