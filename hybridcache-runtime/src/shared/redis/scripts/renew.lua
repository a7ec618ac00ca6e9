-- Prolongs a lease that is still ours.
-- KEYS 1=lease
-- ARGV 1=token(32 hex digits) 2=lease_ms
-- Returns 1 prolonged, 0 lost
local lease=redis.pcall('GET',KEYS[1])
if type(lease)~='string' or string.sub(lease,1,32)~=ARGV[1] then return 0 end
return redis.call('PEXPIRE',KEYS[1],ARGV[2])
