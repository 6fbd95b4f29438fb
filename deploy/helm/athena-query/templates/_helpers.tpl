{{- define "athena-query.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of all objects; with a component where `component` is given: (dict "root" $ "component" "receiver"). */}}
{{- define "athena-query.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | quote }}
{{ include "athena-query.selector" . }}
{{- end -}}

{{- define "athena-query.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{/* "true" where the program signs calls to AWS. */}}
{{- define "athena-query.callsAws" -}}
{{- if or (ne .component "receiver") (eq (toString .root.Values.kafka.env.KAFKA_SASL_MECHANISM) "AWS_MSK_IAM") -}}true{{- end -}}
{{- end -}}

{{/* Variables of a program: those of the chart, then the values', sorted by name; a name stands once. */}}
{{- define "athena-query.env" -}}
{{- $v := .root.Values -}}
{{- $env := dict "ADMIN_LISTEN" "0.0.0.0:9100" "LOG_FORMAT" $v.logFormat "LOG_LEVEL" $v.logLevel -}}
{{- $_ := set $env "KAFKA_BOOTSTRAP_SERVERS" (required "kafka.bootstrapServers: which brokers?" $v.kafka.bootstrapServers) -}}
{{- if $v.stage }}{{ $_ := set $env "STAGE" $v.stage }}{{ end -}}
{{- $env = merge (dict) $v.kafka.env $env -}}
{{- range $name, $key := $v.kafka.files }}{{ $_ := set $env $name (printf "/etc/athena-query/kafka/%s" $key) }}{{ end -}}
{{- if include "athena-query.callsAws" . -}}
{{- $_ := set $env "AWS_REGION" (required "aws.region: where is Athena?" $v.aws.region) -}}
{{- $env = merge (dict) $v.aws.env $env -}}
{{- end -}}
{{- if eq .component "receiver" -}}
{{- $_ := set $env "LISTEN" "0.0.0.0:8080" -}}
{{- if $v.receiver.apiKeys.secret -}}
{{- $_ := set $env "API_KEYS_FILE" (printf "/etc/athena-query/keys/%s" $v.receiver.apiKeys.key) -}}
{{- else if $v.receiver.allowAnonymous -}}
{{- $_ := set $env "ALLOW_ANONYMOUS" "true" -}}
{{- else -}}
{{- fail "receiver.apiKeys.secret: name a Secret with API keys, or set receiver.allowAnonymous" -}}
{{- end -}}
{{- if $v.receiver.tls.secret -}}
{{- $_ := set $env "TLS_CERT_FILE" "/etc/athena-query/tls/tls.crt" -}}
{{- $_ := set $env "TLS_KEY_FILE" "/etc/athena-query/tls/tls.key" -}}
{{- end -}}
{{- end -}}
{{- $env = merge (dict) .program.env $env -}}
{{- range $name := keys $env | sortAlpha }}
{{- $value := get $env $name }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}{{ $value = int64 $value }}{{ end }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end -}}
{{- end -}}

{{/* {name: Secret} of what is mounted as files. */}}
{{- define "athena-query.secrets" -}}
{{- $secrets := dict -}}
{{- with .root.Values.kafka.secret }}{{ $_ := set $secrets "kafka" . }}{{ end -}}
{{- if eq .component "receiver" -}}
{{- with .root.Values.receiver.apiKeys.secret }}{{ $_ := set $secrets "keys" . }}{{ end -}}
{{- with .root.Values.receiver.tls.secret }}{{ $_ := set $secrets "tls" . }}{{ end -}}
{{- end -}}
{{- toJson $secrets -}}
{{- end -}}
