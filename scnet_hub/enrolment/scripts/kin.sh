# Finds the environment with that KEY, and an environment with the same PACKAGES, among LINK-*.
for e in "$1"-*; do
  note=$e/share/scnet/environment.json
  [ -e "$note" ] && [ -x "$e/bin/python" ] || continue
  grep -q "\"key\": \"$2\"" "$note" && say same "$e"
  grep -q "\"packages\": \"$3\"" "$note" && say kin "$e"
done
exit 0
