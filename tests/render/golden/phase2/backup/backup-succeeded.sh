#!/bin/sh
# Rendered by watoto from templates/backup/backup-succeeded.sh.j2: change the template or the settings, not this file.
# Says that a kind of backup was made, for each stanza: read by node-exporter's textfile collector. Staleness of success is
# what raises the alarm.
set -eu
metrics=/var/lib/watoto/metrics
kind=$1
shift
file=$metrics/watoto_backup_$kind.prom
for stanza in "$@"; do
    printf 'watoto_backup_last_success_timestamp_seconds{kind="%s",stanza="%s"} %s\n' "$kind" "$stanza" "$(date +%s)"
done >"$file.new"
chmod 0644 "$file.new"
mv "$file.new" "$file"
