# Checks the person's home, made first if the second word asks for it: whether it exists and is writable, the free space
# of its file system, and the quotas that are exceeded.
d=$1
[ "$2" ] && mkdir -p -- "$d"
[ -d "$d" ] && say there yes
[ -w "$d" ] && say writable yes
say free "$(df -Pk -- "$d" 2>/dev/null | tail -n 1 | awk '{print $4}')"
over() { # a star follows a number over its limit; Lustre's own command prints the same star
  timeout 5 quota -w
  timeout 5 lfs quota -q -u "$(id -un)" "$d"
}
say quota "$(over 2>/dev/null </dev/null | grep '[0-9][*]' | tr -s '\n ' '; ' | cut -c 1-200)"
