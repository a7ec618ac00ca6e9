-- Moves a staged entry into place whoever holds the lease, ends the leases of all versions, tells every process.
-- KEYS 1=entry 2=lease 3=stage, then (entry, lease) of each neighbouring version
-- ARGV 1=ttl_ms 2=PUBLISH|SPUBLISH 3=invalidation channel 4=wake channel prefix 5=key id(8) 6=origin(8)
-- Returns 1 stored, -1 nothing was staged (the server is full): no older entry is left either
local function finish(lease_key,wake)
  local lease=redis.pcall('GET',lease_key)
  redis.call('UNLINK',lease_key)
  if type(lease)~='string' then return end
  for i=17,#lease,8 do redis.call(ARGV[2],ARGV[4]..string.sub(lease,i,i+7),wake..ARGV[5]) end
end
local renamed=redis.pcall('RENAME',KEYS[3],KEYS[1])
local stored=not (type(renamed)=='table' and renamed.err)
if stored then redis.call('PEXPIRE',KEYS[1],ARGV[1]) else redis.call('UNLINK',KEYS[1]) end
finish(KEYS[2],stored and 'P' or 'R')
for k=4,#KEYS,2 do
  redis.call('UNLINK',KEYS[k])
  finish(KEYS[k+1],'R')
end
redis.call(ARGV[2],ARGV[3],'D'..ARGV[6]..ARGV[5])
return stored and 1 or -1
