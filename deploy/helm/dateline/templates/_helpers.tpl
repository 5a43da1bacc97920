{{- define "dateline.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "dateline.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Given a list: the context, and the part (serve, worker, models, migrate). */}}
{{- define "dateline.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "dateline.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag }}{{ end }}
{{- end }}

{{/* What can't work is refused before anything is installed. */}}
{{- define "dateline.check" -}}
{{- $values := .Values -}}
{{- if not (has $values.archive (list "embedded" "shared")) }}
{{- fail (printf "archive is embedded or shared, and not %q" $values.archive) }}
{{- end }}
{{- if not $values.secret.name }}
{{- fail "secret.name: name the Secret that holds the keys" }}
{{- end }}
{{- if and (eq $values.archive "shared") (not $values.secret.record) }}
{{- fail "archive: shared needs secret.record, the entry of the Secret with the address of Postgres" }}
{{- end }}
{{- if and (eq $values.archive "embedded") $values.serve.autoscaling.enabled }}
{{- fail "an embedded archive has one replica: serve.autoscaling needs archive: shared" }}
{{- end }}
{{- if and (eq $values.archive "embedded") $values.worker.autoscaling.enabled }}
{{- fail "workers of an embedded archive run in its pod: worker.autoscaling needs archive: shared" }}
{{- end }}
{{- if and (eq $values.archive "embedded") $values.secret.record }}
{{- fail "secret.record is for archive: shared" }}
{{- end }}
{{- end }}

{{/* The entries of the Secret that a part may read, as JSON: a setting's variable to the entry.
     Given: the context, and the part. Nobody but the migration reads the tables' owner's. */}}
{{- define "dateline.entries" -}}
{{- $secret := (index . 0).Values.secret -}}
{{- $part := index . 1 -}}
{{- $all := dict "KEYS" $secret.keys -}}
{{- if ne $part "models" -}}
{{- $all = dict "RECORD" $secret.record "MEDIA_SECRET" $secret.mediaSecret
  "WORK_URL" ($secret.workUrl | default $secret.record) "REMOTE_KEY" $secret.remoteKey
  "OPENSEARCH_PASSWORD" $secret.opensearchPassword "CAPTION_KEY" $secret.captionKey -}}
{{- end -}}
{{- if eq $part "serve" -}}
{{- $_ := set $all "KEYS" $secret.keys -}}
{{- $_ := set $all "SMTP_PASSWORD" $secret.smtpPassword -}}
{{- end -}}
{{- if eq $part "migrate" -}}
{{- $all = dict "RECORD" ($secret.migrateRecord | default $secret.record) -}}
{{- end -}}
{{- $named := dict -}}
{{- range $setting, $entry := $all }}{{ if $entry }}{{ $_ := set $named $setting $entry }}{{ end }}{{ end -}}
{{ toJson $named }}
{{- end }}

{{/* Variables that name the files of secrets. Given: the context, and the part. */}}
{{- define "dateline.secrets" -}}
{{- range $setting, $entry := include "dateline.entries" . | fromJson }}
- name: DATELINE_{{ $setting }}_FILE
  value: /run/secrets/dateline/{{ $entry }}
{{- end }}
{{- end }}

{{/* Variables of all settings. Given: the context, and the part. */}}
{{- define "dateline.variables" -}}
{{- include "dateline.secrets" . }}
{{- with index . 0 }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if and .Values.models.enabled .Values.models.remote }}
{{- $models := dict }}
{{- $address := printf "remote:http://%s-models:8000" (include "dateline.name" .) }}
{{- range .Values.models.remote }}{{- $_ := set $models . $address }}{{- end }}
- name: DATELINE_RUNTIMES
  value: {{ $models | toJson | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "dateline.pod" -}}
automountServiceAccountToken: false
# Kubernetes would add DATELINE_… variables for the Services, which are no settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "dateline.container" -}}
image: {{ include "dateline.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "dateline.mounts" -}}
- {name: data, mountPath: /data}
- {name: tmp, mountPath: /tmp}
- {name: secrets, mountPath: /run/secrets/dateline, readOnly: true}
{{- range .Values.media }}
- {name: {{ .name }}, mountPath: {{ .mountPath }}, readOnly: true}
{{- end }}
{{- end }}

{{/* Given: the context, the part, and the volume of /data. */}}
{{- define "dateline.volumes" -}}
{{- $root := index . 0 -}}
- name: data
  {{- index . 2 | nindent 2 }}
- name: tmp
  emptyDir: {}
- name: secrets
  secret:
    secretName: {{ $root.Values.secret.name }}
    optional: false
    defaultMode: 288  # 0440
    items:
      {{- range include "dateline.entries" (list $root (index . 1)) | fromJson | values | uniq | sortAlpha }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- range $root.Values.media }}
- name: {{ .name }}
  {{- toYaml .volume | nindent 2 }}
{{- end }}
{{- end }}

{{/* healthz says that the process answers, whatever else is away; readyz that it can search. */}}
{{- define "dateline.probes" -}}
startupProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 2
  failureThreshold: 150
livenessProbe:
  httpGet: {path: /healthz, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: {path: {{ . }}, port: http}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
# Nobody sends requests here any more before SIGTERM comes.
lifecycle:
  preStop: {exec: {command: [sleep, "5"]}}
{{- end }}

{{/* Two pods of a part are on two nodes if there are two. Given: the context, and the part. */}}
{{- define "dateline.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "dateline.selector" . | nindent 8 }}
{{- end }}
