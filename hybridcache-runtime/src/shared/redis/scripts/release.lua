-- Gives back a lease that is still ours and wakes its waiters. If its load has stored nothing, a mark takes the lease's
-- place
-- for a moment: the first caller that then requests the lease gets it, and later callers need not wait for it.
-- KEYS 1=lease
-- ARGV 1=token(32 hex digits) 2=PUBLISH|SPUBLISH 3=wake channel prefix 4=key id(16 hex digits) 5=how long the mark lives, ms ('0' = the load has not ended)
-- Returns 1 released, 0 it was lost
local lease=redis.pcall('GET',KEYS[1])
if type(lease)~='string' or string.sub(lease,1,32)~=ARGV[1] then return 0 end
redis.call('DEL',KEYS[1])
local in_vain=ARGV[5]~='0'
-- A full server may refuse the mark: then only the message says that nothing was stored.
if in_vain then redis.pcall('SET',KEYS[1],'0000000000000000','PX',ARGV[5]) end
local wake=(in_vain and 'N' or 'R')..ARGV[4]
for i=33,#lease,16 do redis.call(ARGV[2],ARGV[3]..string.sub(lease,i,i+15),wake) end
return 1
