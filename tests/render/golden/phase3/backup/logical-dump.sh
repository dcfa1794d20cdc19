#!/bin/sh
# Rendered by watoto from templates/backup/logical-dump.sh.j2: change the template or the settings, not this file.
# Dumps each database and the configuration, checks the dumps, stores them and says so; anything that fails ends it.
# Beside the WAL archive, not instead of it: a nightly dump loses up to a day.
set -eu
umask 077
PATH=/usr/local/bin:/usr/bin:/bin
bucket=watoto-backups
folder=/var/lib/watoto/backups/dumps
metrics=/var/lib/watoto/metrics
stamp=$(date -u +%Y%m%dT%H%M%SZ)
work=$(mktemp -d "$folder/.new-XXXXXX")
trap 'rm -rf "$work"' EXIT
AWS_DEFAULT_REGION=us-east-1
PGPASSFILE=/etc/watoto/backup/pgpass
export AWS_DEFAULT_REGION PGPASSFILE

store() { # file, key: done only when what is stored has the size of what was sent
    aws s3 cp --only-show-errors "$1" "s3://$bucket/$2"
    sent=$(wc -c <"$1")
    kept=$(aws s3api head-object --bucket "$bucket" --key "$2" --query ContentLength --output text)
    [ "$sent" -eq "$kept" ] || { echo "s3://$bucket/$2 has $kept bytes, not $sent" >&2; exit 1; }
}

dump() { # name, host, port
    pg_dump --host="$2" --port="$3" --username=watoto_user --no-password --format=directory --jobs=4 \
        --compress=6 --file="$work/$1" watoto_lms
    pg_restore --list "$work/$1" | grep -q 'TABLE DATA' || { echo "the dump of $1 holds no table" >&2; exit 1; }
    tar -C "$work" -cf "$work/$1.tar" "$1"
    store "$work/$1.tar" "database/$1_$stamp.tar"
}

dump primary 127.0.0.1 5432
dump shard1-primary 127.0.0.1 5435
dump shard2-primary 127.0.0.1 5437
# Files that only their owner may read hold secrets; they are rendered again from where those are kept.
(cd /etc/watoto && find . -type f -perm -0044 -print0 | tar --null --files-from=- -czf "$work/app.tar.gz")
store "$work/app.tar.gz" "application/app_$stamp.tar.gz"

# Read by node-exporter's textfile collector; staleness of success is what raises the alarm.
printf 'watoto_backup_last_success_timestamp_seconds{kind="logical"} %s\n' "$(date +%s)" >"$metrics/watoto_logical_dump.prom.new"
chmod 0644 "$metrics/watoto_logical_dump.prom.new"
mv "$metrics/watoto_logical_dump.prom.new" "$metrics/watoto_logical_dump.prom"
