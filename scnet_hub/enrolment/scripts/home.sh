# The person's home, made first if a second word says so: is it there, may one write there, what is left on its file system, what stands over its quota.
d=$1
[ "$2" ] && mkdir -p -- "$d"
[ -d "$d" ] && say there yes
[ -w "$d" ] && say writable yes
say free "$(df -Pk -- "$d" 2>/dev/null | tail -n 1 | awk '{print $4}')"
over() { # a star stands behind what is over its limit; Lustre's own command puts the same star
  timeout 5 quota -w
  timeout 5 lfs quota -q -u "$(id -un)" "$d"
}
say quota "$(over 2>/dev/null </dev/null | grep '[0-9][*]' | tr -s '\n ' '; ' | cut -c 1-200)"
