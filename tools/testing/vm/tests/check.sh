#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Suite: formatting, lints, checkpatch and documentation, as make check.
set -euo pipefail

exec "$(dirname "$0")/../check.sh"
