# Lists the Pythons on PATH, or the given Python: version, processor, glibc, path.
[ "$1" ] || set -- python3.16 python3.15 python3.14 python3.13 python3.12 python3.11 python3
for p; do
  f=$(command -v "$p" 2>/dev/null) || continue
  say "$p" "$("$f" -c 'import sys, platform as p; print(*sys.version_info[:2], p.machine(), p.libc_ver()[1] or 0, sys.executable)' 2>/dev/null </dev/null)"
done
