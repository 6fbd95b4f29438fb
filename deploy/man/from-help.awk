# A manual page: what a program's --help says (standard input) put into the page that `page` names.
#
#   PROGRAM --help | awk -v page=PROGRAM.8.in -v date='November 27, 2026' -f from-help.awk
#
# Lines of the page that are a word between two @ are replaced; all others stay as they are.

function escaped(text) {
    gsub(/\\/, "\\e", text)
    gsub(/…/, "\\[u2026]", text)
    gsub(/\. /, ".\n", text) # mdoc wants each sentence on a line of its own
    return text ~ /^[.']/ ? "\\\\\\&" text : text
}

/^Options:$/ { part = "options" }
/^Environment:$/ { part = "environment" }
NR == 1 {
    name = $1
    sub(/:$/, "", name)
    summary = substr($0, length(name) + 3)
    sub(/\.$/, "", summary)
}
# `  NAME (TYPE; default X)`, and its meaning in the next line
/^  [^ ]/ && part != "" {
    about = substr($0, length($1) + 5)
    sub(/\)$/, "", about)
    is_option = sub(/^--/, "", $1)
    list[part] = list[part] "\n.It " (is_option ? "Fl Fl " : "Ev ") escaped($1) " Pq " escaped(about)
}
/^      [^ ]/ && part != "" { list[part] = list[part] "\n" escaped(substr($0, 7)) }

function print_list(part) { print ".Bl -tag -width Ds" list[part] "\n.El" }

END {
    while ((getline line < page) > 0) {
        if (line == "@HEAD@") {
            upper = toupper(name)
            print ".Dd " date "\n.Dt " upper " 8\n.Os\n.Sh NAME\n.Nm " name "\n.Nd " escaped(summary)
            print ".Sh SYNOPSIS\n.Nm\n.Op Ar option ..."
        } else if (line == "@OPTIONS@") {
            print_list("options")
        } else if (line == "@ENVIRONMENT@") {
            print_list("environment")
        } else if (line == "@SIGNALS@") {
            print ".Sh SIGNALS\n.Bl -tag -width Ds\n.It Dv SIGTERM , SIGINT"
            print "It stops once calls and records in flight are done with, after DRAIN_TIMEOUT_MS at the latest."
            print "A second one ends it at once."
        } else if (line == "@FILES@") {
            print ".Sh FILES\nRead by the units of systemd that come with the programs:"
            print ".Bl -tag -width Ds\n.It Pa /etc/athena-query/athena-query.env"
            print "The variables of all programs."
        } else if (line == "@EXIT@") {
            print ".Sh EXIT STATUS\n.Bl -tag -width Ds\n.It 0\nStopped cleanly."
            print ".It 100\nThe configuration has faults, which stderr lists."
            print ".It 111\nIt cannot go on; stderr says why.\n.El"
        } else {
            print line
        }
    }
}
