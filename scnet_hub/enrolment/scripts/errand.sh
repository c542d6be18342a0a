# Run by the check's job: prints who and where it is, then becomes errand.py with the best Python of the node.
# errand.sh WORD FOLDER PYTHON: every line of ours begins with WORD.
word=$1 folder=$2
printf '%s who "%s"\n%s node "%s"\n' "$word" "$(id -un)" "$word" "$(hostname)"
for python in "$3" python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3; do
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2>/dev/null && exec "$python" -u "$folder/errand.py" "$word" "$folder"
done
printf '%s no_python true\n' "$word"
