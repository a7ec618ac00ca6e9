-- Which commands the user of this connection may not run, or the server does not have.
-- ARGV for each command: how many words, the words
-- Returns the places of those commands, from 1; nothing at all before Redis 7.0
if not redis.acl_check_cmd then return false end
local missing={}
local at,place=1,1
while at<=#ARGV do
  local words={}
  for word=1,tonumber(ARGV[at]) do words[word]=ARGV[at+word] end
  -- A command that the server does not know is an error.
  local known,allowed=pcall(redis.acl_check_cmd,unpack(words))
  if not (known and allowed) then missing[#missing+1]=place end
  at,place=at+#words+1,place+1
end
return missing
