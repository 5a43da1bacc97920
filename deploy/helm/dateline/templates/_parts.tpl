{{- define "dateline.workerWords" -}}
{{- $words := list "worker" -}}
{{- with .Values.worker.queues }}{{ $words = concat $words (list "--queues" .) }}{{ end -}}
{{ toJson $words }}
{{- end }}

{{/* Given: the context, and the part. */}}
{{- define "dateline.disruption" }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "dateline.name" (index . 0) }}-{{ index . 1 }}
  labels: {{- include "dateline.labels" (index . 0) | nindent 4 }}
spec:
  maxUnavailable: {{ (index . 0).Values.disruption.maxUnavailable }}
  selector:
    matchLabels: {{- include "dateline.selector" . | nindent 6 }}
{{- end }}

{{/* Given: the context, the part, and its values of autoscaling. */}}
{{- define "dateline.byConcurrency" }}
{{- $name := printf "%s-%s" (include "dateline.name" (index . 0)) (index . 1) }}
{{- $values := index . 2 }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ $name }}
  labels: {{- include "dateline.labels" (index . 0) | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}
  minReplicas: {{ $values.minReplicas }}
  maxReplicas: {{ $values.maxReplicas }}
  metrics:
    - type: Pods
      pods:
        metric: {name: dateline_http_in_flight}
        target: {type: AverageValue, averageValue: {{ $values.inFlight | quote }}}
  behavior:
    scaleDown: {stabilizationWindowSeconds: 300}
{{- end }}
