package batchv1

import "github.com/stint-go/stint"

// The types below are what is written. Field by field they have the names of
// Kubernetes.

type manifest struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   objectMeta `json:"metadata,omitzero"`
	Spec       any        `json:"spec,omitempty"`
	Status     any        `json:"status,omitempty"`

	// Of config maps and secrets:
	Type      string `json:"type,omitempty"`
	Data      any    `json:"data,omitempty"`
	Immutable bool   `json:"immutable,omitempty"`
}

type objectMeta struct {
	Name              string            `json:"name,omitempty"`
	Namespace         string            `json:"namespace,omitempty"`
	UID               string            `json:"uid,omitempty"`
	Generation        int64             `json:"generation,omitempty"`
	CreationTimestamp string            `json:"creationTimestamp,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
}

type listManifest struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Items      []manifest `json:"items"`
}

type jobSpec struct {
	Parallelism             *int                    `json:"parallelism,omitempty"`
	Completions             *int                    `json:"completions,omitempty"`
	CompletionMode          stint.CompletionMode    `json:"completionMode,omitempty"`
	BackoffLimit            *int                    `json:"backoffLimit,omitempty"`
	BackoffLimitPerIndex    *int                    `json:"backoffLimitPerIndex,omitempty"`
	MaxFailedIndexes        *int                    `json:"maxFailedIndexes,omitempty"`
	PodFailurePolicy        *stint.FailurePolicy    `json:"podFailurePolicy,omitempty"`
	SuccessPolicy           *stint.SuccessPolicy    `json:"successPolicy,omitempty"`
	PodReplacementPolicy    stint.ReplacementPolicy `json:"podReplacementPolicy,omitempty"`
	ActiveDeadlineSeconds   *int64                  `json:"activeDeadlineSeconds,omitempty"`
	TTLSecondsAfterFinished *int64                  `json:"ttlSecondsAfterFinished,omitempty"`
	Suspend                 bool                    `json:"suspend,omitempty"`
	Template                podTemplate             `json:"template"`
}

type podTemplate struct {
	Spec podSpec `json:"spec"`
}

type podSpec struct {
	RestartPolicy         string      `json:"restartPolicy"`
	ActiveDeadlineSeconds *int64      `json:"activeDeadlineSeconds,omitempty"`
	Containers            []container `json:"containers"`
	Volumes               []volume    `json:"volumes,omitempty"`
}

type container struct {
	Name      string          `json:"name"`
	Resources stint.Resources `json:"resources,omitzero"`
}

type jobStatus struct {
	Conditions       []condition `json:"conditions,omitempty"`
	StartTime        string      `json:"startTime,omitempty"`
	CompletionTime   string      `json:"completionTime,omitempty"`
	Active           int         `json:"active,omitempty"`
	Ready            int         `json:"ready"`
	Terminating      int         `json:"terminating"`
	Succeeded        int         `json:"succeeded,omitempty"`
	Failed           int         `json:"failed,omitempty"`
	CompletedIndexes string      `json:"completedIndexes,omitempty"`
	FailedIndexes    *string     `json:"failedIndexes,omitempty"` // there, if empty, with backoffLimitPerIndex
}

type condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	LastProbeTime      string `json:"lastProbeTime,omitempty"`
	LastTransitionTime string `json:"lastTransitionTime,omitempty"`
	Reason             string `json:"reason,omitempty"`
	Message            string `json:"message,omitempty"`
}

type cronJobSpec struct {
	Schedule                   string                  `json:"schedule"`
	TimeZone                   string                  `json:"timeZone,omitempty"`
	StartingDeadlineSeconds    *int64                  `json:"startingDeadlineSeconds,omitempty"`
	ConcurrencyPolicy          stint.ConcurrencyPolicy `json:"concurrencyPolicy,omitempty"`
	Suspend                    bool                    `json:"suspend,omitempty"`
	SuccessfulJobsHistoryLimit *int                    `json:"successfulJobsHistoryLimit,omitempty"`
	FailedJobsHistoryLimit     *int                    `json:"failedJobsHistoryLimit,omitempty"`
	JobTemplate                jobTemplate             `json:"jobTemplate"`
}

type jobTemplate struct {
	Metadata objectMeta `json:"metadata,omitzero"`
	Spec     jobSpec    `json:"spec"`
}

type cronJobStatus struct {
	Active             []reference `json:"active,omitempty"`
	LastScheduleTime   string      `json:"lastScheduleTime,omitempty"`
	LastSuccessfulTime string      `json:"lastSuccessfulTime,omitempty"`
}

type reference struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	Namespace  string `json:"namespace,omitempty"`
}
