# Makes LINK point to TARGET in one step, and removes environments that were replaced more than MINUTES ago, but never
# the previous environment.
link=$1 target=$2 minutes=$3
old=$(readlink -- "$link")
ln -sfn "$(basename "$target")" "$link.new" && mv -T "$link.new" "$link" || exit 1
rm -f "$target/.left"
[ "$old" ] && [ "$old" != "$(basename "$target")" ] && touch "$(dirname "$link")/$old/.left"
before=$(ls -td "$link"-*/.left 2>/dev/null | head -n 1)
for left in "$link"-*/.left; do
  [ -e "$left" ] && [ "$left" != "$before" ] || continue
  e=$(dirname "$left")
  [ -e "$e/share/scnet/environment.json" ] && [ "$(find "$left" -mmin "+$minutes")" ] && rm -rf "$e" && say removed "$e"
done
say done yes
