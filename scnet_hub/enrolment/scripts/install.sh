# Makes the environment TARGET from our own archive and the packages: links to those of the environment KIN, or a second
# archive.
# PYTHON is the centre's, of that VERSION (like 3.11). Each archive comes with its SHA256. TARGET appears when
# it is complete.
umask 022
target=$1 python=$2 version=$3 ours=$4 ours_sum=$5 kin=$6 packages=$7 packages_sum=$8 new=$1.new
whole() {
  [ "$(sha256sum <"$1" | cut -d ' ' -f 1)" = "$2" ] && return
  rm -f "$1"
  say damaged "$1"
  exit 0
}
whole "$ours" "$ours_sum"
[ "$kin" ] || whole "$packages" "$packages_sum"
rm -rf "$new"
if [ "$kin" ]; then
  cp -al -- "$kin" "$new" || exit 1
  rm -rf "$new"/lib/python3.*/site-packages/scnet_hub* "$new/bin/scnet" "$new/share/scnet/environment.json" "$new/pyvenv.cfg" "$new/.left"
else
  mkdir "$new" && tar -xzf "$packages" -C "$new" || exit 1
fi
tar -xzf "$ours" -C "$new" && cd "$new" || exit 1
printf 'home = %s\ninclude-system-site-packages = false\nversion = %s\nrelocatable = true\n' "$(dirname "$python")" "$version" >pyvenv.cfg
rm -f bin/python*
ln -s "$python" "bin/python$version" && ln -s "python$version" bin/python3 || exit 1
# A session stays in the environment that it began in, although its link may point to a newer environment later.
printf '#!/bin/sh\nexec "$(dirname -- "$(realpath -- "$0")")/python%s" "$@"\n' "$version" >bin/python && chmod 755 bin/python || exit 1
cd / && rm -rf "$target" && mv -T "$new" "$target" && rm -f "$ours" "$packages" && say done yes
