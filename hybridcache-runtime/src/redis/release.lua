-- Gives back a lease that is still ours and wakes who waits for it.
-- KEYS 1=lease
-- ARGV 1=token(16) 2=PUBLISH|SPUBLISH 3=wake channel prefix 4=key id(8)
-- Returns 1 released, 0 it was lost
local lease=redis.pcall('GET',KEYS[1])
if type(lease)~='string' or string.sub(lease,1,16)~=ARGV[1] then return 0 end
redis.call('DEL',KEYS[1])
for i=17,#lease,8 do redis.call(ARGV[2],ARGV[3]..string.sub(lease,i,i+7),'R'..ARGV[4]) end
return 1
